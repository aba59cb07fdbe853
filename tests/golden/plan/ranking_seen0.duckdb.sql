SELECT
  "s".*,
  ROW_NUMBER() OVER (
    PARTITION BY "s"."at", "s"."entity"
    ORDER BY "s"."latest" DESC, "s"."times" DESC, "s"."item"
  ) AS "newest"
FROM (
  SELECT
    "m"."at",
    "i"."entity",
    "i"."item",
    COUNT(*) AS "times",
    SUM(CASE WHEN "i"."happened" > "m"."since_q" THEN 1 ELSE 0 END) AS "times_q",
    SUM(CASE WHEN "i"."happened" > "m"."since_1" THEN 1 ELSE 0 END) AS "times_1",
    SUM(
      EXP(
        -LEAST(DATE_DIFF('SECOND', "i"."happened", "m"."at") / 86400.0 / "m"."days", 700.0)
      )
    ) AS "recent",
    MAX("i"."happened") AS "latest"
  FROM "rfm_signal0_x" AS "i"
  JOIN (
    SELECT DISTINCT
      "e"."as_of" AS "at",
      "e"."entity"
    FROM "rfm_examples_x" AS "e"
  ) AS "t"
    ON "t"."entity" = "i"."entity"
    AND "i"."known" <= "t"."at"
    AND (
      "i"."until" IS NULL OR "i"."until" > "t"."at"
    )
  JOIN "rfm_moments_x" AS "m"
    ON "m"."at" = "t"."at" AND "i"."happened" > "m"."since_s"
  JOIN "rfm_catalogue_x" AS "g"
    ON "g"."at" = "t"."at" AND "g"."item" = "i"."item"
  GROUP BY
    "m"."at",
    "i"."entity",
    "i"."item"
) AS "s"
