SELECT
  "c".*,
  ROW_NUMBER() OVER (
    PARTITION BY "c"."at", "c"."entity"
    ORDER BY "c"."latest" DESC, "c"."occasions" DESC, "c"."item"
  ) AS "newest",
  ROW_NUMBER() OVER (
    PARTITION BY "c"."at", "c"."entity"
    ORDER BY "c"."occasions" DESC, "c"."latest" DESC, "c"."item"
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
