SELECT
  "w"."at",
  "w"."entity",
  "w"."item",
  COUNT(*) OVER (PARTITION BY "w"."at", "w"."item") AS "entities"
FROM (
  SELECT
    "h"."at",
    "h"."entity",
    "h"."item"
  FROM "rfm_history_x" AS "h"
  JOIN "rfm_witnesses_x" AS "t"
    ON "t"."at" = "h"."at" AND "t"."entity" = "h"."entity"
  WHERE
    "h"."newest" <= 40
) AS "w"
