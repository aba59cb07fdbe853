SELECT
  "s".*,
  ROW_NUMBER() OVER (
    PARTITION BY "s"."group_id"
    ORDER BY ROUND("s"."total" * 1000000000) DESC NULLS LAST, pg_temp.rfm_key("s"."item")
  ) AS "place"
FROM (
  SELECT
    "e"."example_id" AS "group_id",
    "t"."b" AS "item",
    SUM("t"."score") AS "total",
    MAX("t"."score") AS "most",
    COUNT(*) AS "links"
  FROM "rfm_examples_x" AS "e"
  JOIN "rfm_history_x" AS "h"
    ON "h"."at" = "e"."as_of" AND "h"."entity" = "e"."entity" AND "h"."newest" <= 30
  JOIN "rfm_together_x" AS "t"
    ON "t"."at" = "h"."at" AND "t"."a" = "h"."item"
  GROUP BY
    "e"."example_id",
    "t"."b"
) AS "s"
