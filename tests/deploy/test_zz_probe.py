import json, uuid, sys, time
from pathlib import Path
from devcluster.rest import on_each
from devcluster.wait import until
from tests.deploy.rights import *
from tests.harness.world import enforce
def test_probe(control_plane, tmp_path):
    plane=control_plane
    tag="probe"+uuid.uuid4().hex[:6]
    cases=[r for r in granted() if not own(r)]
    home=f"{tag}-home"
    everywhere=[Right("cluster","kiro.dev","kirohealthchecks",("list","watch")),Right("cluster","kiro.dev","kirosafetypolicies",("list","watch"))]
    plane.rest.post("/api/v1/namespaces",{"metadata":{"name":home}})
    plane.rest.post(f"/api/v1/namespaces/{home}/serviceaccounts",{"metadata":{"name":ACCOUNT}})
    acc=f"{home}:{ACCOUNT}"
    allow(plane,acc,None,f"operator-{home}",everywhere)
    allow(plane,acc,home,"own",[r for r in granted() if own(r)])
    worlds={}
    def prep(item):
        n,case=item
        ns=f"{tag}-{n}"
        plane.rest.post("/api/v1/namespaces",{"metadata":{"name":ns}})
        until(lambda: plane.kubectl if any(i["metadata"]["name"]=="default" for i in plane.rest.get(f"/api/v1/namespaces/{ns}/serviceaccounts")["items"]) else None,"sa")
        rights=[r for r in granted() if not own(r) and r!=case]
        allow(plane,acc,ns,"all",rights)
        w=Installed(plane,ns,tmp_path); w.tag=tag
        for kind in ("Deployment","StatefulSet","DaemonSet"):
            w.workload(kind,kind.lower(),2)
        w.workload("Deployment","evicted",4)
        w.workload("Deployment","scaled",2,{"for":"scales"})
        w.plane.rest.post(w.path("services",api="/api/v1"),{"metadata":{"name":"svc"},"spec":{"selector":{"app":"deployment"},"ports":[{"port":80}]}})
        for kind in ("Deployment","StatefulSet","DaemonSet"):
            w.settled(kind,kind.lower())
        w.settled("Deployment","evicted"); w.settled("Deployment","scaled")
        w.afflict("deployment","crash-loop"); w.afflict("daemonset","crash-loop")
        w.afflict("statefulset","crash-loop",restarts=4); w.relieve("statefulset")
        w.afflict("evicted","crash-loop",1); w.afflict("scaled","oom")
        w.policy(**enforce())
        w.health_check("restarts",safetyPolicyRef={"name":"policy"},interval="5s",selector={"matchExpressions":[{"key":"for","operator":"DoesNotExist"}]},remediation={"ladder":[{"action":"Restart","timeout":"10s"}],"stabilization":"1s"})
        w.health_check("scales",safetyPolicyRef={"name":"policy"},interval="5s",selector={"matchLabels":{"for":"scales"}},checks=[{"id":i,"enabled":False} for i in ("network-connectivity","recent-configuration-changes","resource-utilization","service-logs")],remediation={"ladder":[{"action":"Scale","timeout":"10s"}],"stabilization":"1s"})
        worlds[n]=(case,w)
    t=time.time()
    on_each(prep,list(enumerate([None,*cases])))
    print("prep",time.time()-t)
    from devcluster.operator import OperatorProcess
    op=OperatorProcess(plane,namespace=home,service_account=ACCOUNT,log=Path("/tmp/probe.log"),flags=("--watch-label-selector",f"test={tag}","--namespace-watches","100"))
    Path("/tmp/probe.log").write_text("")
    op.start()
    time.sleep(45)
    out=open("/tmp/probe.out","w")
    for n,(case,w) in sorted(worlds.items()):
        print("=====",case,file=out)
        for name in("restarts","scales"):
            s=w.get("kirohealthchecks",name)["status"]
            for c in s.get("checks",[]): print("  ",name,c["id"],c["status"],c["reason"],c["message"][:150] if c["reason"]=="Forbidden" else "",file=out)
            for c in s.get("conditions",[]):
                if c["type"] in("Ready","Observed","RemediationAllowed","Escalated","Stalled","Reconciling"): print("  ",name,c["type"],c["status"],c["reason"],c["message"][:200],file=out)
        for k in w.remediations(): print("   KREM",k["metadata"]["name"],k["spec"]["method"],k["status"]["state"],k["status"].get("reason"),k["status"].get("message","")[:400],file=out)
    print(op.running, op.probe("/healthz"),file=out)
    print([l for l in op.probe("/metrics")[1].splitlines() if l.startswith("kiro_reconc") or "leader" in l],file=out)
    import psutil
    p=psutil.Process(op.pid); print("rss MiB",p.memory_info().rss/2**20,"cpu",p.cpu_times(),file=out)
    op.stop()
    plane.kubectl("delete","clusterrole,clusterrolebinding",f"operator-{home}",check=False)
