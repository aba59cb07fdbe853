SELECT
  "c"."group_id",
  "c"."item",
  "e"."split",
  "e"."entity",
  "e"."anchor_time",
  "e"."as_of",
  "e"."label" AS "relevant",
  CASE WHEN "e"."split" = 'query' THEN NULL ELSE NOT "r"."item" IS NULL END AS "label"
FROM "rfm_candidates_x" AS "c"
JOIN "rfm_examples_x" AS "e"
  ON "e"."example_id" = "c"."group_id"
LEFT JOIN "rfm_relevant_x" AS "r"
  ON "r"."entity" = "e"."entity"
  AND "r"."anchor_time" = "e"."anchor_time"
  AND "r"."item" = "c"."item"
