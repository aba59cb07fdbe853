WITH "eligible" AS (
  SELECT DISTINCT
    "e"."customer_id" AS "entity",
    "a"."anchor_time" AS "anchor_time"
  FROM "customers" AS "e"
  INNER JOIN "anchors" AS "a"
    ON "e"."created_at" <= "a"."anchor_time"
  WHERE
    NOT "e"."customer_id" IS NULL
), "aggregation_0" AS (
  SELECT
    "w"."entity",
    "w"."anchor_time",
    COUNT(*) AS "value"
  FROM (
    SELECT
      "r0"."customer_id" AS "entity",
      "a"."anchor_time" AS "anchor_time",
      1 AS "value"
    FROM "orders" AS "r0"
    INNER JOIN "anchors" AS "a"
      ON "r0"."ordered_at" > "a"."anchor_time"
      AND "r0"."ordered_at" <= "a"."anchor_time" + INTERVAL '30 DAY'
    WHERE
      "r0"."status" <> 'it\'s lost'
  ) AS "w"
  GROUP BY
    "w"."entity",
    "w"."anchor_time"
), "aggregation_1" AS (
  SELECT
    "w"."entity",
    "w"."anchor_time",
    COUNT(*) AS "value"
  FROM (
    SELECT
      "r0"."customer_id" AS "entity",
      "a"."anchor_time" AS "anchor_time",
      1 AS "value"
    FROM "orders" AS "r0"
    INNER JOIN "anchors" AS "a"
      ON "r0"."ordered_at" > "a"."anchor_time" - INTERVAL '90 DAY'
      AND "r0"."ordered_at" <= "a"."anchor_time"
  ) AS "w"
  GROUP BY
    "w"."entity",
    "w"."anchor_time"
)
SELECT
  "eligible"."entity",
  "eligible"."anchor_time",
  CAST(COALESCE("aggregation_0"."value", 0) = 0 AS BOOLEAN) AS "label"
FROM "eligible"
LEFT JOIN "aggregation_0"
  ON "aggregation_0"."entity" = "eligible"."entity"
  AND "aggregation_0"."anchor_time" = "eligible"."anchor_time"
LEFT JOIN "aggregation_1"
  ON "aggregation_1"."entity" = "eligible"."entity"
  AND "aggregation_1"."anchor_time" = "eligible"."anchor_time"
WHERE
  COALESCE("aggregation_1"."value", 0) > 0
  AND NOT (
    COALESCE("aggregation_0"."value", 0) = 0
  ) IS NULL
