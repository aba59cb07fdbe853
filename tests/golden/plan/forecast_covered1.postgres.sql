SELECT
  "s"."base",
  "s"."j",
  "s"."i",
  SUM("s"."share") AS "share"
FROM (
  SELECT
    "p"."base",
    "p"."j",
    "w"."i",
    CASE
      WHEN "p"."ends" > "p"."begins"
      THEN CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF(LEAST("p"."ends", "w"."end_at"), 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF(GREATEST("p"."begins", "w"."start_at"), 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / (
        CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF("w"."end_at", 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF("w"."start_at", 'infinity'), '-infinity'))) AS BIGINT) * 1.0
      )
      ELSE 1.0
    END AS "share"
  FROM "rfm_plan1_x" AS "p"
  JOIN "rfm_windows_x" AS "o"
    ON "o"."i" >= -12 AND "o"."i" < 3
  JOIN "rfm_windows_x" AS "w"
    ON "w"."i" = "p"."j" + "o"."i"
    AND "p"."begins" <= "w"."end_at"
    AND "p"."ends" > "w"."start_at"
) AS "s"
GROUP BY
  "s"."base",
  "s"."j",
  "s"."i"
