SELECT
  "n".*,
  ROW_NUMBER() OVER (
    PARTITION BY "n"."at"
    ORDER BY "n"."entities_q" DESC, "n"."entities_1" DESC, "n"."item"
  ) AS "place"
FROM (
  SELECT
    "s"."at",
    "s"."item",
    COUNT(*) AS "entities",
    COUNT(CASE WHEN "s"."latest" > "m"."since_q" THEN 1 END) AS "entities_q",
    COUNT(CASE WHEN "s"."latest" > "m"."since_1" THEN 1 END) AS "entities_1"
  FROM (
    SELECT
      "m"."at",
      "i"."entity",
      "i"."item",
      MAX("i"."happened") AS "latest"
    FROM "rfm_signal0_x" AS "i"
    JOIN "rfm_moments_x" AS "m"
      ON "i"."known" <= "m"."at"
      AND "i"."happened" > "m"."since_s"
      AND (
        "i"."until" IS NULL OR "i"."until" > "m"."at"
      )
    JOIN "rfm_catalogue_x" AS "g"
      ON "g"."at" = "m"."at" AND "g"."item" = "i"."item"
    GROUP BY
      "m"."at",
      "i"."entity",
      "i"."item"
  ) AS "s"
  JOIN "rfm_moments_x" AS "m"
    ON "m"."at" = "s"."at"
  GROUP BY
    "s"."at",
    "s"."item"
) AS "n"
