SELECT
  "t"."at",
  "t"."entity"
FROM (
  SELECT
    "t"."at",
    "t"."entity",
    ROW_NUMBER() OVER (
      PARTITION BY "t"."at"
      ORDER BY pg_temp.rfm_key("t"."latest") DESC NULLS LAST, pg_temp.rfm_key("t"."entity")
    ) AS "place"
  FROM "rfm_habits_x" AS "t"
) AS "t"
WHERE
  "t"."place" <= 10000
