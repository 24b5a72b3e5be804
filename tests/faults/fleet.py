"""The services of a run, other than the stage sets them up."""

from __future__ import annotations

from dataclasses import replace

from faults.run import Run

from ops.stack.supervisor import Instance

SOUTH, WEST, STEP = 33.0, 124.0, 0.05  # ops.generator.cells.regular_grid [degrees]


def give(run: Run, **values: object) -> None:
    """Set variables of every service's environment; what runs already keeps what it has."""
    told = {name: str(value) for name, value in values.items()}
    for instance in run.services.instances.values():
        instance.service = replace(instance.service, env={**instance.service.env, **told})


def second(run: Run, service: str) -> str:
    """Let one more process of a service be started; returns its name."""
    name = f"{service}-2"
    run.services.instances[name] = Instance(name, run.services.instances[service].service)
    return name


async def small_job(run: Run, job_id: str, cells: int) -> None:
    """Ask for a job over the southernmost row of the grid, or so many of its cells.

    Its rows are replaced by those of a job over the whole grid, which must follow.
    """
    await run.trigger(job_id, bbox=southern(cells))
    run.jobs[job_id].cells = cells


def southern(cells: int) -> dict[str, float]:
    """The bbox of so many cells of the grid's southernmost row [degrees], at most 200."""
    half = STEP / 2
    return {
        "min_latitude": SOUTH - half,
        "max_latitude": SOUTH + half,
        "min_longitude": WEST - half,
        "max_longitude": WEST + STEP * cells - half,
    }
