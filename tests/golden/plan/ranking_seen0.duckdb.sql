SELECT
  "s".*,
  ROW_NUMBER() OVER (
    PARTITION BY "s"."at", "s"."entity"
    ORDER BY "s"."latest" DESC, "s"."times" DESC, "s"."item"
  ) AS "newest"
FROM "rfm_sighted0_x" AS "s"
JOIN (
  SELECT DISTINCT
    "e"."as_of",
    "e"."entity"
  FROM "rfm_examples_x" AS "e"
) AS "e"
  ON "e"."as_of" = "s"."at" AND "e"."entity" = "s"."entity"
