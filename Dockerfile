# The Python that the tests run on. Pin it by digest where images are built for production.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# No pip in the environment that is shipped: it installs from outside.
RUN python -m venv --without-pip /opt/kiro
COPY requirements.txt .
# Wheels only, each of them known by its hash: nothing is compiled, and nothing runs a setup script.
RUN python -m pip --python /opt/kiro install --require-hashes --only-binary :all: -r requirements.txt
COPY kiro_operator /opt/kiro/app/kiro_operator
RUN /opt/kiro/bin/python -m compileall -q /opt/kiro/app /opt/kiro/lib

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="kiro-operator" \
      org.opencontainers.image.description="Keeps a Kiro platform healthy" \
      org.opencontainers.image.licenses="Apache-2.0"
# Nothing that installs or builds stays in the image.
RUN python -m pip uninstall --yes --quiet setuptools wheel pip
COPY --from=build /opt/kiro /opt/kiro
# The root file system is read-only; output is a log.
ENV PATH=/opt/kiro/bin:$PATH \
    PYTHONPATH=/opt/kiro/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /opt/kiro/app
# As in deploy/base/deployment.yaml; a number, so that runAsNonRoot can be checked.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["python", "-m", "kiro_operator"]
