"""docs/reference/metrics.md: every metric of riskflow's own with type, labels and help."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from ops.health import gauges
from ops.reference.markdown import code, page, table
from schemas import metrics

ABOUT = """Each service with a HEALTH_PORT serves these at `/metrics`, and with them what prometheus_client
tells of process, platform and garbage collector (`process_`, `python_`). Labels and pages:
[operations](../operations.md#health-and-metrics); what is worth an alert stands there too. A histogram also
has `_bucket`, `_sum` and `_count`."""


def text() -> str:
    """The page."""
    rows = sorted(_row(metric) for metric in own_metrics())
    return page("Metrics", ABOUT, table(("metric", "type", "labels", "what"), rows))


def own_metrics() -> list[MetricWrapperBase]:
    """The metrics that schemas/metrics.py makes, and those of the health pages."""
    pages, ages = gauges(CollectorRegistry())
    common = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]
    return [*common, *pages.values(), ages]


def _row(metric: MetricWrapperBase) -> list[str]:
    (family,) = metric.describe()
    name = family.name + ("_total" if family.type == "counter" else "")
    labels = metric._labelnames  # noqa: SLF001 - the library tells the labels of a metric nowhere else
    return [code(name), family.type, ", ".join(labels), family.documentation]
