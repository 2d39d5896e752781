"""The scenes, in the order in which they are played."""

from demo.scenes import (
    approval,
    at_rest,
    budget,
    crash_loop,
    image_pull,
    load,
    mcp_down,
    permission,
    steering,
    storm,
    success_rate,
    tampered,
    waste,
    widened,
)

SCENES = (
    crash_loop.SCENE,
    image_pull.SCENE,
    storm.SCENE,
    at_rest.SCENE,
    approval.SCENE,
    mcp_down.SCENE,
    steering.SCENE,
    success_rate.SCENE,
    permission.SCENE,
    tampered.SCENE,
    widened.SCENE,
    waste.SCENE,
    load.SCENE,
    budget.SCENE,
)
