// The two charts behind a cell's number, as ECharts options.

import { script } from "./assets.js";
import { ramp, transparent } from "./colours.js";

/** ECharts with its Korean words. */
export async function echarts() {
  const library = await script("echarts/echarts.common.min.js", "echarts");
  await script("echarts/langKO.js", "echarts");
  return library;
}

/** Names of the bins, mildest first: "< 1", "1–1.5", "≥ 2". */
export function binNames({ edges }, format) {
  const write = (edge) => format.significant(edge, 4);
  return [...edges, null].map((upper, i) => {
    if (i === 0) return `< ${write(upper)}`;
    return upper === null ? `≥ ${write(edges[i - 1])}` : `${write(edges[i - 1])}–${write(upper)}`;
  });
}

/** Whether bins can be drawn over the intensities: edges in the same unit, and known. */
export const hasBands = ({ edges, edge_unit: edgeUnit, unit }) =>
  edgeUnit === unit && edges.length > 0 && edges.every((edge) => edge !== null);

/** Intensity per year over the bins as bands; a year without a number is a cross at the foot. */
export function yearsOption({ t, figures, format }, found, theme) {
  const scale = scaleOf(found);
  const missing = found.intensity.map((value) => (value === null ? scale.min : "-"));
  return {
    ...common(theme),
    grid: { left: 8, right: hasBands(found) && found.probability ? 122 : 12, top: 28, bottom: 8, containLabel: true },
    tooltip: {
      ...tooltip(theme),
      trigger: "axis",
      formatter: ([{ dataIndex: i }]) =>
        `${found.years[i]}: ${found.intensity[i] === null ? t("map.missing") : `${format.significant(found.intensity[i], 4)} ${figures.unit(found.unit)}`}`,
    },
    xAxis: { ...axis(theme), type: "category", data: found.years.map(String), boundaryGap: true },
    yAxis: {
      ...axis(theme),
      type: "value",
      ...scale,
      name: figures.unit(found.unit),
      nameTextStyle: { align: "left", color: theme.muted },
      axisLabel: {
        color: theme.muted,
        showMinLabel: false,
        showMaxLabel: false,
        formatter: (value) => format.significant(value, 4),
      },
    },
    series: [
      {
        type: "line",
        data: found.intensity.map((value) => value ?? "-"),
        symbol: "circle",
        showAllSymbol: true,
        symbolSize: 6,
        lineStyle: { width: 1, color: theme.muted },
        itemStyle: { color: theme.point, borderColor: theme.surface, borderWidth: 1 },
        markArea: hasBands(found) ? bands({ t, figures, format }, found, scale, theme) : undefined,
      },
      {
        type: "scatter",
        data: missing,
        symbol: "path://M0,1L1,0L5,4L9,0L10,1L6,5L10,9L9,10L5,6L1,10L0,9L4,5Z",
        symbolSize: 8,
        symbolOffset: [0, -6],
        itemStyle: { color: theme.muted },
      },
    ],
  };
}

/** Probability of each bin, with its damage rate. */
export function binsOption({ t, figures, format }, found, theme) {
  const colours = ramp(found.probability.length);
  const names = binNames(found, format);
  return {
    ...common(theme),
    grid: { left: 8, right: 122, top: 8, bottom: 8, containLabel: true },
    tooltip: {
      ...tooltip(theme),
      trigger: "item",
      formatter: ({ dataIndex: i }) =>
        `${names[i]}<br>${t("map.chance")} ${figures.share(found.probability[i])}<br>${t("map.damage")} ${figures.share(found.base_damage_rate[i])}`,
    },
    xAxis: {
      ...axis(theme),
      type: "value",
      min: 0,
      max: 1,
      interval: 0.5,
      axisLabel: { color: theme.muted, formatter: (value) => format.percent(value) },
    },
    yAxis: { ...axis(theme), type: "category", inverse: true, data: names, axisLabel: { color: theme.text } },
    series: [
      {
        type: "bar",
        barMaxWidth: 22,
        data: found.probability.map((value, i) => ({
          value,
          itemStyle: { color: colours[i], borderColor: theme.muted, borderWidth: 0.5 },
        })),
        label: {
          show: true,
          position: "right",
          color: theme.text,
          formatter: ({ value, dataIndex: i }) =>
            t("map.band", { chance: figures.share(value), damage: figures.share(found.base_damage_rate[i]) }),
        },
      },
    ],
  };
}

const common = (theme) => ({
  animation: false,
  textStyle: { color: theme.text, fontFamily: getComputedStyle(document.body).fontFamily },
});
const tooltip = (theme) => ({
  backgroundColor: theme.surface,
  borderColor: theme.line,
  textStyle: { color: theme.text },
});

const axis = (theme) => ({
  axisLabel: { color: theme.muted },
  axisLine: { lineStyle: { color: theme.line } },
  axisTick: { show: false },
  splitLine: { lineStyle: { color: theme.line, opacity: 0.6 } },
});

// Room for all years, and for one edge above them, so that the next worse bin is in sight.
function scaleOf(found) {
  const numbers = found.intensity.filter((value) => value !== null);
  const edges = hasBands(found) ? found.edges : [];
  const most = Math.max(...numbers, edges[0] ?? -Infinity);
  const next = edges.find((edge) => edge > most) ?? most;
  const least = Math.min(...numbers, edges[0] ?? Infinity);
  if (!Number.isFinite(most)) return { min: 0, max: 1 };
  const room = 0.12 * (Math.max(most, next) - least || Math.abs(most) || 1);
  return { min: least >= 0 && least <= room * 4 ? 0 : least - room, max: Math.max(most, next) + room };
}

function bands({ t, figures }, found, { min, max }, theme) {
  const colours = ramp(found.edges.length + 1);
  const bounds = [Math.min(min, found.edges[0]), ...found.edges, max];
  const data = colours.flatMap((colour, i) => {
    const [lower, upper] = [Math.max(bounds[i], min), i === colours.length - 1 ? max : Math.min(bounds[i + 1], max)];
    if (upper <= lower) return [];
    const text = found.probability
      ? t("map.band", { chance: figures.share(found.probability[i]), damage: figures.share(found.base_damage_rate[i]) })
      : "";
    const label = {
      show: (upper - lower) / (max - min) > 0.075,
      position: "right",
      color: theme.text,
      fontSize: 10.5,
      formatter: text,
    };
    return [[{ yAxis: lower, itemStyle: { color: transparent(colour, 0.3) }, label }, { yAxis: upper }]];
  });
  return { silent: true, data };
}
