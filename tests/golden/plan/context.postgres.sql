SELECT
  "p"."entity",
  "p"."anchor_time",
  "p"."label"
FROM (
  SELECT
    "entity",
    "anchor_time",
    "label",
    ROW_NUMBER() OVER (
      ORDER BY CASE WHEN "of_class" <= 200 THEN 0 WHEN "newest" <= 500 THEN 1 ELSE 2 END ASC, pg_temp.rfm_key("draw") ASC
    ) AS "place"
  FROM (
    SELECT
      *,
      ROW_NUMBER() OVER (ORDER BY pg_temp.rfm_key("anchor_time") DESC NULLS LAST, pg_temp.rfm_key("draw")) AS "newest",
      ROW_NUMBER() OVER (PARTITION BY "label" ORDER BY pg_temp.rfm_key("draw") ASC) AS "of_class"
    FROM (
      SELECT
        "l"."entity",
        "l"."anchor_time",
        "l"."label",
        MD5(
          CAST("l"."entity" AS TEXT) || '|' || CAST("l"."anchor_time" AS TEXT) || '|' || 'context 0'
        ) AS "draw"
      FROM "rfm_labels_x" AS "l"
      WHERE
        "l"."known_at" <= CAST('2024-06-30 12:00:00' AS TIMESTAMP)
    ) AS "d"
  ) AS "r"
) AS "p"
WHERE
  "p"."place" <= 1000
