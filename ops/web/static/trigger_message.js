// The Trigger message of what a person filled in. What is left out comes from the server's settings.

const CORNERS = ["min_latitude", "min_longitude", "max_latitude", "max_longitude"];

/** Body of POST /jobs. */
export function triggerOf(jobType, fields) {
  return { job_type: jobType, ...given(jobType === "weekly" ? weekly(fields) : climate(fields)) };
}

function climate(fields) {
  const window = { start: number(fields.get("start")), end: number(fields.get("end")) };
  const bbox = Object.fromEntries(CORNERS.map((each) => [each, number(fields.get(each))]));
  return {
    scenario: fields.get("scenario"),
    window: given(window),
    risks: fields.getAll("risks"),
    bbox: given(bbox),
    uncertainty: fields.get("uncertainty") === "on" || null,
  };
}

function weekly(fields) {
  const typed = (fields.get("tenant_ids") ?? "").split(/[\s,]+/).filter(Boolean);
  return { report_date: fields.get("report_date"), tenants: [...fields.getAll("tenants"), ...typed] };
}

function number(text) {
  return text === null || text.trim() === "" ? null : Number(text);
}

// A half-filled window or area is sent as it is: the server says what it lacks.
function given(fields) {
  const entries = Object.entries(fields).filter(([, value]) => !isAbsent(value));
  return Object.fromEntries(entries);
}

function isAbsent(value) {
  return value === null || value === "" || (typeof value === "object" && Object.keys(value).length === 0);
}
