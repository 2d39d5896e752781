"""The scenes, in the order in which they are played."""

from demo.scenes import at_rest, budget, crash_loop, image_pull, load, storm

SCENES = (
    crash_loop.SCENE,
    image_pull.SCENE,
    storm.SCENE,
    at_rest.SCENE,
    load.SCENE,
    budget.SCENE,
)
