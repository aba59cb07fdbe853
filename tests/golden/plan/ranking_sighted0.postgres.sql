SELECT
  "m"."at",
  "i"."entity",
  "i"."item",
  COUNT(*) AS "times",
  SUM(CASE WHEN "i"."happened" > "m"."since_q" THEN 1 ELSE 0 END) AS "times_q",
  SUM(CASE WHEN "i"."happened" > "m"."since_1" THEN 1 ELSE 0 END) AS "times_1",
  SUM(
    EXP(
      -LEAST(
        CAST(CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF("m"."at", 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF("i"."happened", 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / 86400.0 AS DOUBLE PRECISION) / "m"."days",
        700.0
      )
    )
  ) AS "recent",
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
