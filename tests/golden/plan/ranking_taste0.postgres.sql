SELECT
  "h"."at",
  "h"."entity",
  "g"."c0" AS "kind",
  SUM("h"."occasions") AS "occasions",
  CAST(SUM("h"."occasions") AS DOUBLE PRECISION) / SUM(SUM("h"."occasions")) OVER (PARTITION BY "h"."at", "h"."entity") AS "share",
  ROW_NUMBER() OVER (
    PARTITION BY "h"."at", "h"."entity"
    ORDER BY SUM("h"."occasions") DESC NULLS LAST, pg_temp.rfm_key("g"."c0")
  ) AS "place"
FROM "rfm_history_x" AS "h"
JOIN "rfm_catalogue_x" AS "g"
  ON "g"."at" = "h"."at" AND "g"."item" = "h"."item"
WHERE
  NOT "g"."c0" IS NULL
GROUP BY
  "h"."at",
  "h"."entity",
  "g"."c0"
