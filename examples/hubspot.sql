-- The tables of leadscore from raw_contacts, raw_archived_contacts and raw_deals, which have all
-- versions of each record that were read, as text. pull_with_dlt.py runs these statements.

CREATE TABLE versions AS
SELECT id, CAST(created_at AS TIMESTAMPTZ) AS created, CAST(updated_at AS TIMESTAMPTZ) AS updated,
  CAST(archived_at AS TIMESTAMPTZ) AS archived, merged, history
FROM raw_contacts
UNION ALL
SELECT id, CAST(created_at AS TIMESTAMPTZ), CAST(updated_at AS TIMESTAMPTZ),
  CAST(archived_at AS TIMESTAMPTZ), merged, history
FROM raw_archived_contacts;

-- Each value of a property, with the time from which it held.
CREATE TABLE changes AS
SELECT DISTINCT lead, entry.field AS field, entry.value AS value,
  CAST(entry.changed AS TIMESTAMPTZ) AS changed
FROM (
  SELECT id AS lead,
    unnest(from_json(history, '[{"field":"VARCHAR","value":"VARCHAR","changed":"VARCHAR"}]')) AS entry
  FROM versions
);

-- The record of a merge names the ids that became it. In a chain (a, b, c) the last one names all
-- of them; the step that was made first counts, and leadscore follows the chain.
CREATE TABLE claims AS
SELECT old_id, new_id, MIN(merged) AS merged
FROM (
  SELECT split_part(part, ':', 1) AS old_id, id AS new_id,
    make_timestamptz(1000 * TRY_CAST(split_part(part, ':', 2) AS BIGINT)) AS merged
  FROM (SELECT id, unnest(string_split(merged, ';')) AS part FROM versions)
  WHERE part <> ''
  UNION ALL
  SELECT part, lead, changed
  FROM (
    SELECT lead, changed, unnest(string_split(value, ';')) AS part
    FROM changes WHERE field = 'hs_merged_object_ids'
  )
)
WHERE old_id NOT IN ('', new_id)
GROUP BY old_id, new_id;

CREATE TABLE merges AS
SELECT old_id, new_id, merged
FROM claims
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY old_id ORDER BY new_id NOT IN (SELECT old_id FROM claims), merged, new_id
) = 1;

-- A merge may give a new id with an old date of creation. While the old ids were read as leads of
-- their own, the new one was not known: it is a lead from the merge on.
CREATE TABLE leads AS
WITH newest AS (
  SELECT id, created, archived, MIN(updated) OVER (PARTITION BY id) AS first_read
  FROM versions
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY id ORDER BY GREATEST(updated, archived) DESC, archived NULLS LAST
  ) = 1
), became AS (
  SELECT new_id, MIN(merged) AS merged
  FROM merges WHERE old_id IN (SELECT id FROM versions)
  GROUP BY new_id
)
SELECT id, created,
  CASE WHEN first_read >= merged THEN GREATEST(created, merged) ELSE created END AS known,
  CASE WHEN id NOT IN (SELECT old_id FROM merges) THEN archived END AS archived
FROM newest LEFT JOIN became ON id = new_id
ORDER BY id;

CREATE TABLE history AS
SELECT lead, field, value, changed FROM changes
WHERE field <> 'hs_merged_object_ids'
ORDER BY ALL;

-- The contacts of a deal are those of its newest version, and those that were merged since.
CREATE TABLE deals AS
WITH named AS (
  SELECT id, updated_at, history, unnest(CAST(CAST(contacts AS JSON) AS VARCHAR[])) AS lead
  FROM raw_deals
), pairs AS (
  SELECT DISTINCT id, lead FROM named
  WHERE lead IN (SELECT old_id FROM merges)
    OR (id, updated_at) IN (SELECT id, MAX(updated_at) FROM raw_deals GROUP BY id)
), steps AS (
  SELECT DISTINCT id, entry.field AS field, entry.value AS value,
    CAST(entry.changed AS TIMESTAMPTZ) AS changed
  FROM (
    SELECT id,
      unnest(from_json(history, '[{"field":"VARCHAR","value":"VARCHAR","changed":"VARCHAR"}]')) AS entry
    FROM raw_deals
  )
)
SELECT pairs.lead, stages.value AS stage, stages.changed, TRY_CAST(amounts.value AS DOUBLE) AS amount
FROM (SELECT * FROM steps WHERE field = 'dealstage' AND value <> '') AS stages
JOIN pairs USING (id)
ASOF LEFT JOIN (SELECT * FROM steps WHERE field = 'amount') AS amounts
  ON stages.id = amounts.id AND stages.changed >= amounts.changed;

CREATE TABLE events AS
SELECT DISTINCT lead, what, happened, GREATEST(happened, known) AS known, amount
FROM (
  SELECT lead, 'lifecycle ' || value AS what, changed AS happened, NULL AS amount
  FROM history WHERE field = 'lifecyclestage' AND value <> ''
  UNION ALL
  SELECT lead, 'deal ' || stage, changed, amount FROM deals
  UNION ALL
  SELECT id, 'archived', archived, NULL FROM leads WHERE archived IS NOT NULL
)
JOIN leads ON id = lead
ORDER BY ALL;

ALTER TABLE leads DROP COLUMN archived;
