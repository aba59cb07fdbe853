SELECT DISTINCT
  "t"."at",
  "t"."entity"
FROM (
  SELECT
    "w"."at",
    "w"."entity"
  FROM "rfm_witnesses_x" AS "w"
  UNION ALL
  SELECT
    "e"."as_of" AS "at",
    "e"."entity"
  FROM "rfm_examples_x" AS "e"
) AS "t"
