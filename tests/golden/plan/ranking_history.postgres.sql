SELECT
  "c".*,
  ROW_NUMBER() OVER (
    PARTITION BY "c"."at", "c"."entity"
    ORDER BY pg_temp.rfm_key("c"."latest") DESC NULLS LAST, pg_temp.rfm_key("c"."occasions") DESC NULLS LAST, pg_temp.rfm_key("c"."item")
  ) AS "newest",
  ROW_NUMBER() OVER (
    PARTITION BY "c"."at", "c"."entity"
    ORDER BY pg_temp.rfm_key("c"."occasions") DESC NULLS LAST, pg_temp.rfm_key("c"."latest") DESC NULLS LAST, pg_temp.rfm_key("c"."item")
  ) AS "oftenest"
FROM (
  SELECT
    "m"."at",
    "i"."entity",
    "i"."item",
    SUM("i"."n") AS "n",
    COUNT(*) AS "occasions",
    SUM(CASE WHEN "i"."happened" > "m"."since_1" THEN 1 ELSE 0 END) AS "occasions_1",
    SUM(CASE WHEN "i"."happened" > "m"."since_3" THEN 1 ELSE 0 END) AS "occasions_3",
    SUM(
      EXP(
        -LEAST(
          CAST(CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF("m"."at", 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF("i"."happened", 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / 86400.0 AS DOUBLE PRECISION) / "m"."days",
          700.0
        )
      )
    ) AS "recent",
    MIN("i"."happened") AS "began",
    MAX("i"."happened") AS "latest",
    SUM("i"."q0") AS "q0"
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
  GROUP BY
    "m"."at",
    "i"."entity",
    "i"."item"
) AS "c"
