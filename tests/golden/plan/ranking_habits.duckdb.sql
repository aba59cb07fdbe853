SELECT
  "c".*,
  "v"."visits",
  "v"."visits_3"
FROM (
  SELECT
    "h"."at",
    "h"."entity",
    COUNT(*) AS "items",
    SUM("h"."occasions") AS "occasions",
    SUM("h"."occasions_1") AS "occasions_1",
    SUM("h"."occasions_3") AS "occasions_3",
    MIN("h"."began") AS "began",
    MAX("h"."latest") AS "latest",
    AVG(CASE WHEN "h"."occasions" > 1 THEN 1.0 ELSE 0.0 END) AS "again",
    SUM(CASE WHEN "h"."occasions" > "h"."occasions_1" THEN 1 ELSE 0 END) AS "had",
    SUM(
      CASE
        WHEN "h"."occasions" > "h"."occasions_1" AND "h"."occasions_1" > 0
        THEN 1
        ELSE 0
      END
    ) AS "back"
  FROM "rfm_history_x" AS "h"
  GROUP BY
    "h"."at",
    "h"."entity"
) AS "c"
JOIN (
  SELECT
    "o"."at",
    "o"."entity",
    COUNT(*) AS "visits",
    COUNT(CASE WHEN "o"."happened" > "o"."since_3" THEN 1 END) AS "visits_3"
  FROM (
    SELECT DISTINCT
      "m"."at",
      "m"."since_3",
      "i"."entity",
      "i"."happened"
    FROM "rfm_interactions_x" AS "i"
    JOIN "rfm_watched_x" AS "t"
      ON "t"."entity" = "i"."entity"
      AND "i"."known" <= "t"."at"
      AND (
        "i"."until" IS NULL OR "i"."until" > "t"."at"
      )
    JOIN "rfm_catalogue_x" AS "g"
      ON "g"."at" = "t"."at" AND "g"."item" = "i"."item"
    JOIN "rfm_moments_x" AS "m"
      ON "m"."at" = "t"."at"
  ) AS "o"
  GROUP BY
    "o"."at",
    "o"."entity"
) AS "v"
  ON "v"."at" = "c"."at" AND "v"."entity" = "c"."entity"
