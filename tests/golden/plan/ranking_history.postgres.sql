SELECT
  "c".*,
  ROW_NUMBER() OVER (
    PARTITION BY "c"."at", "c"."entity"
    ORDER BY pg_temp.rfm_key("c"."latest") DESC NULLS LAST, pg_temp.rfm_key("c"."occasions") DESC NULLS LAST, pg_temp.rfm_key("c"."item")
  ) AS "newest",
  ROW_NUMBER() OVER (
    PARTITION BY "c"."at", "c"."entity"
    ORDER BY pg_temp.rfm_key("c"."occasions") DESC NULLS LAST, pg_temp.rfm_key("c"."latest") DESC NULLS LAST, pg_temp.rfm_key("c"."item")
  ) AS "oftenest"
FROM "rfm_counted_x" AS "c"
JOIN (
  SELECT
    "w"."at",
    "w"."entity"
  FROM "rfm_witnesses_x" AS "w"
  UNION
  SELECT
    "e"."as_of" AS "at",
    "e"."entity"
  FROM "rfm_examples_x" AS "e"
) AS "t"
  ON "t"."at" = "c"."at" AND "t"."entity" = "c"."entity"
