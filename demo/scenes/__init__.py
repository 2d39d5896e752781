"""The scenes, in the order in which they are played."""

from demo.scenes import at_rest, budget, crash_loop, image_pull, load, storm

SCENES = (
    crash_loop.SCENE,
    at_rest.SCENE,
    image_pull.SCENE,
    storm.SCENE,
    load.SCENE,
    budget.SCENE,
)
