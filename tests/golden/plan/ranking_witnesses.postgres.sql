SELECT
  "t"."at",
  "t"."entity"
FROM (
  SELECT
    "t"."at",
    "t"."entity",
    ROW_NUMBER() OVER (
      PARTITION BY "t"."at"
      ORDER BY pg_temp.rfm_key("t"."latest") DESC NULLS LAST, pg_temp.rfm_key("t"."entity")
    ) AS "place"
  FROM (
    SELECT
      "m"."at",
      "i"."entity",
      MAX("i"."happened") AS "latest"
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
  ) AS "t"
) AS "t"
WHERE
  "t"."place" <= 10000
