-- The tables of leadscore from raw_leads, raw_opportunities and the raw histories, which have all
-- versions of each row that were read, as text. pull_with_dlt.py runs these statements.

CREATE TABLE versions AS
SELECT id, CAST(createddate AS TIMESTAMPTZ) AS created, leadsource AS source, status,
  CAST(systemmodstamp AS TIMESTAMPTZ) AS updated, isdeleted = 'true' AS deleted,
  masterrecordid AS master, CAST(converteddate AS DATE) AS converted_on,
  convertedopportunityid AS opportunity
FROM raw_leads;

CREATE TABLE newest AS
SELECT * FROM versions
QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY updated DESC, deleted DESC) = 1;

CREATE TABLE leads AS SELECT id, created, source FROM newest ORDER BY id;

-- A merge deletes the other records and notes the one that stays.
CREATE TABLE merges AS
SELECT id AS old_id, arg_max(master, updated) AS new_id, MIN(updated) AS merged
FROM versions WHERE master IS NOT NULL
GROUP BY id ORDER BY id;

CREATE TABLE changes AS
SELECT leadid AS lead, field, oldvalue AS before, newvalue AS value,
  CAST(createddate AS TIMESTAMPTZ) AS changed
FROM (SELECT DISTINCT * FROM raw_lead_history);

-- The date of a conversion has no time. Its history has; else it is known when that date has ended
-- everywhere, at noon UTC of the next day.
CREATE TABLE conversions AS
SELECT id AS lead, created, opportunity,
  COALESCE(noted, GREATEST(created, CAST(converted_on AS TIMESTAMP) AT TIME ZONE 'UTC')) AS happened,
  COALESCE(noted, (CAST(converted_on AS TIMESTAMP) + INTERVAL 36 HOUR) AT TIME ZONE 'UTC') AS known
FROM newest
LEFT JOIN (
  SELECT lead, MIN(changed) AS noted FROM changes WHERE field = 'leadConverted' GROUP BY lead
) ON id = lead
WHERE converted_on IS NOT NULL;

-- A history has no row for the first value. It is the old value of the first change, or today's
-- value where there was none, if the field was tracked before the lead was created.
CREATE TABLE history AS
WITH tracked AS (
  SELECT field, MIN(changed) AS since FROM changes GROUP BY field
), first_changes AS (
  SELECT lead, field, arg_min(before, changed) AS value FROM changes GROUP BY lead, field
), firsts AS (
  SELECT id AS lead, tracked.field, created AS changed,
    CASE WHEN first_changes.lead IS NOT NULL THEN first_changes.value
      WHEN tracked.field = 'Status' THEN status END AS value
  FROM newest JOIN tracked ON created >= since
  LEFT JOIN first_changes ON id = first_changes.lead AND tracked.field = first_changes.field
), opportunity_changes AS (
  SELECT conversions.lead, 'opportunity ' || field AS field, newvalue AS value,
    CAST(createddate AS TIMESTAMPTZ) AS changed, known
  FROM raw_opportunity_field_history JOIN conversions ON opportunityid = opportunity
)
SELECT DISTINCT lead, field, value, changed, GREATEST(changed, known) AS known
FROM (
  SELECT lead, field, value, changed, changed AS known FROM changes
  UNION ALL
  SELECT lead, field, value, changed, changed FROM firsts WHERE value IS NOT NULL
  UNION ALL
  SELECT lead, field, value, changed, known FROM opportunity_changes
)
WHERE field <> 'leadConverted' AND lead IN (SELECT id FROM leads)
ORDER BY ALL;

-- OpportunityHistory has a row for each change of stage, amount, probability or closing date.
CREATE TABLE stages AS
SELECT opportunityid AS opportunity, stagename AS stage, CAST(amount AS DOUBLE) AS amount,
  CAST(createddate AS TIMESTAMPTZ) AS changed
FROM (SELECT DISTINCT * FROM raw_opportunity_history)
QUALIFY stage IS DISTINCT FROM LAG(stage) OVER (PARTITION BY opportunity ORDER BY changed, id);

CREATE TABLE removed AS
SELECT id AS opportunity, CAST(MAX(systemmodstamp) AS TIMESTAMPTZ) AS removed
FROM raw_opportunities
GROUP BY id HAVING arg_max(isdeleted, systemmodstamp) = 'true';

CREATE TABLE events AS
SELECT DISTINCT lead, what, happened, GREATEST(happened, known) AS known, amount
FROM (
  SELECT lead, 'status ' || value AS what, changed AS happened, changed AS known, NULL AS amount
  FROM changes WHERE field = 'Status' AND value <> '' AND lead IN (SELECT id FROM leads)
  UNION ALL
  SELECT lead, 'converted', happened, known, NULL FROM conversions
  UNION ALL
  SELECT lead, 'stage ' || stage, changed, known, amount
  FROM stages JOIN conversions USING (opportunity) WHERE changed >= created
  UNION ALL
  SELECT lead, 'opportunity deleted', removed, known, NULL
  FROM removed JOIN conversions USING (opportunity)
  UNION ALL
  SELECT id, 'deleted', updated, updated, NULL FROM newest WHERE deleted AND master IS NULL
)
ORDER BY ALL;
