SELECT
  "t"."at",
  "t"."entity"
FROM (
  SELECT
    "t"."at",
    "t"."entity",
    ROW_NUMBER() OVER (PARTITION BY "t"."at" ORDER BY "t"."latest" DESC, "t"."entity") AS "place"
  FROM "rfm_habits_x" AS "t"
) AS "t"
WHERE
  "t"."place" <= 10000
