-- Months packed per cell and scenario, and which of them are stale.

CREATE TABLE climate_packed (
    latitude   numeric(10, 6) NOT NULL,
    longitude  numeric(10, 6) NOT NULL,
    scenario   text           NOT NULL,
    first_year integer        NOT NULL,
    months     bytea          NOT NULL,
    PRIMARY KEY (latitude, longitude, scenario)
);
ALTER TABLE climate_packed ALTER COLUMN months SET STORAGE EXTERNAL;
CREATE INDEX climate_packed_scenario ON climate_packed (scenario);
COMMENT ON COLUMN climate_packed.months IS
    'January of first_year onwards, without gaps; per month big-endian float8 ta, tamax, tamin, rn, rhm, ws, si, wet_days; NaN = missing';

-- A log, not a set: a writer never waits for another, and what a writer has not committed stays stale.
CREATE TABLE climate_stale (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    latitude  numeric(10, 6) NOT NULL,
    longitude numeric(10, 6) NOT NULL,
    scenario  text           NOT NULL
);

CREATE FUNCTION riskflow.note_stale() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO public.climate_stale (latitude, longitude, scenario)
        SELECT latitude, longitude, scenario FROM public.climate_packed;
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO public.climate_stale (latitude, longitude, scenario)
        SELECT DISTINCT latitude, longitude, scenario FROM after_rows;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO public.climate_stale (latitude, longitude, scenario)
        SELECT DISTINCT latitude, longitude, scenario FROM before_rows;
    ELSE
        INSERT INTO public.climate_stale (latitude, longitude, scenario)
        SELECT latitude, longitude, scenario FROM after_rows
        UNION SELECT latitude, longitude, scenario FROM before_rows;
    END IF;
    RETURN NULL;
END $$ SECURITY DEFINER SET search_path = pg_catalog;

CREATE TRIGGER climate_data_inserted AFTER INSERT ON climate_data
    REFERENCING NEW TABLE AS after_rows FOR EACH STATEMENT EXECUTE FUNCTION riskflow.note_stale();
CREATE TRIGGER climate_data_updated AFTER UPDATE ON climate_data
    REFERENCING OLD TABLE AS before_rows NEW TABLE AS after_rows FOR EACH STATEMENT EXECUTE FUNCTION riskflow.note_stale();
CREATE TRIGGER climate_data_deleted AFTER DELETE ON climate_data
    REFERENCING OLD TABLE AS before_rows FOR EACH STATEMENT EXECUTE FUNCTION riskflow.note_stale();
CREATE TRIGGER climate_data_truncated AFTER TRUNCATE ON climate_data
    FOR EACH STATEMENT EXECUTE FUNCTION riskflow.note_stale();

-- Packs every stale cell anew and returns how many there were. One at a time: a slower repack with an
-- older snapshot must not overwrite a newer one.
CREATE FUNCTION riskflow.repack() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    changed integer;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('riskflow.repack'));
    CREATE TEMPORARY TABLE IF NOT EXISTS repack_cells (
        latitude numeric(10, 6), longitude numeric(10, 6), scenario text) ON COMMIT DROP;
    TRUNCATE pg_temp.repack_cells;

    WITH noted AS (DELETE FROM public.climate_stale RETURNING latitude, longitude, scenario)
    INSERT INTO pg_temp.repack_cells SELECT DISTINCT latitude, longitude, scenario FROM noted;
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF changed = 0 THEN
        RETURN 0;
    END IF;
    ANALYZE pg_temp.repack_cells;
    IF changed > 50 THEN
        -- Without statistics of what has just been written the planner packs ten times slower (measured).
        ANALYZE public.climate_data;
    END IF;

    DELETE FROM public.climate_packed p USING pg_temp.repack_cells c
    WHERE (p.latitude, p.longitude, p.scenario) = (c.latitude, c.longitude, c.scenario)
      AND NOT EXISTS (SELECT FROM public.climate_data d
                      WHERE (d.latitude, d.longitude, d.scenario) = (c.latitude, c.longitude, c.scenario));

    INSERT INTO public.climate_packed (latitude, longitude, scenario, first_year, months)
    SELECT span.latitude, span.longitude, span.scenario, span.first_year,
           string_agg(
               float8send(coalesce(d.ta, 'NaN'))    || float8send(coalesce(d.tamax, 'NaN'))
            || float8send(coalesce(d.tamin, 'NaN')) || float8send(coalesce(d.rn, 'NaN'))
            || float8send(coalesce(d.rhm, 'NaN'))   || float8send(coalesce(d.ws, 'NaN'))
            || float8send(coalesce(d.si, 'NaN'))    || float8send(coalesce(d.wet_days, 'NaN')),
            '' ORDER BY slot.number)
    FROM (SELECT c.latitude, c.longitude, c.scenario, min(d.year) AS first_year, max(d.year) AS last_year
          FROM pg_temp.repack_cells c JOIN public.climate_data d USING (latitude, longitude, scenario)
          GROUP BY 1, 2, 3) AS span
    CROSS JOIN LATERAL generate_series(span.first_year * 12, span.last_year * 12 + 11) AS slot (number)
    LEFT JOIN public.climate_data d
        ON (d.latitude, d.longitude, d.scenario) = (span.latitude, span.longitude, span.scenario)
       AND d.year = slot.number / 12 AND d.month = slot.number % 12 + 1
    GROUP BY 1, 2, 3, 4
    ON CONFLICT (latitude, longitude, scenario)
        DO UPDATE SET first_year = excluded.first_year, months = excluded.months;

    INSERT INTO public.grid_cells (latitude, longitude)
    SELECT DISTINCT latitude, longitude FROM pg_temp.repack_cells
    ON CONFLICT DO NOTHING;
    RETURN changed;
END $$;

INSERT INTO climate_stale (latitude, longitude, scenario)
SELECT DISTINCT latitude, longitude, scenario FROM climate_data;
SELECT riskflow.repack();
