SELECT
  "s".*,
  ROW_NUMBER() OVER (
    PARTITION BY "s"."at", "s"."entity"
    ORDER BY pg_temp.rfm_key("s"."latest") DESC NULLS LAST, pg_temp.rfm_key("s"."times") DESC NULLS LAST, pg_temp.rfm_key("s"."item")
  ) AS "newest"
FROM "rfm_sighted0_x" AS "s"
JOIN (
  SELECT DISTINCT
    "e"."as_of",
    "e"."entity"
  FROM "rfm_examples_x" AS "e"
) AS "e"
  ON "e"."as_of" = "s"."at" AND "e"."entity" = "s"."entity"
