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
        -LEAST(DATE_DIFF('SECOND', "i"."happened", "m"."at") / 86400.0 / "m"."days", 700.0)
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
