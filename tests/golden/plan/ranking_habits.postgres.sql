SELECT
  "c".*,
  "v"."visits",
  "v"."visits_3"
FROM (
  SELECT
    "c"."at",
    "c"."entity",
    COUNT(*) AS "items",
    SUM("c"."occasions") AS "occasions",
    SUM("c"."occasions_1") AS "occasions_1",
    SUM("c"."occasions_3") AS "occasions_3",
    MIN("c"."began") AS "began",
    MAX("c"."latest") AS "latest",
    AVG(CASE WHEN "c"."occasions" > 1 THEN 1.0 ELSE 0.0 END) AS "again",
    SUM(CASE WHEN "c"."occasions" > "c"."occasions_1" THEN 1 ELSE 0 END) AS "had",
    SUM(
      CASE
        WHEN "c"."occasions" > "c"."occasions_1" AND "c"."occasions_1" > 0
        THEN 1
        ELSE 0
      END
    ) AS "back"
  FROM "rfm_counted_x" AS "c"
  GROUP BY
    "c"."at",
    "c"."entity"
) AS "c"
JOIN (
  SELECT
    "m"."at",
    "i"."entity",
    COUNT(DISTINCT "i"."happened") AS "visits",
    COUNT(DISTINCT CASE WHEN "i"."happened" > "m"."since_3" THEN "i"."happened" END) AS "visits_3"
  FROM "rfm_interactions_x" AS "i"
  JOIN "rfm_moments_x" AS "m"
    ON "i"."known" <= "m"."at" AND (
      "i"."until" IS NULL OR "i"."until" > "m"."at"
    )
  JOIN "rfm_catalogue_x" AS "g"
    ON "g"."at" = "m"."at" AND "g"."item" = "i"."item"
  GROUP BY
    "m"."at",
    "i"."entity"
) AS "v"
  ON "v"."at" = "c"."at" AND "v"."entity" = "c"."entity"
