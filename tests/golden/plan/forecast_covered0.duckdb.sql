SELECT
  "s"."base",
  "s"."j",
  "s"."i",
  SUM("s"."share") AS "share",
  SUM("s"."share" * COALESCE("s"."v0", 0)) AS "v0"
FROM (
  SELECT
    "p"."base",
    "p"."j",
    "w"."i",
    CASE
      WHEN "p"."ends" > "p"."begins"
      THEN DATE_DIFF('SECOND', GREATEST("p"."begins", "w"."start_at"), LEAST("p"."ends", "w"."end_at")) / (
        DATE_DIFF('SECOND', "w"."start_at", "w"."end_at") * 1.0
      )
      ELSE 1.0
    END AS "share",
    "p"."v0"
  FROM "rfm_plan0_x" AS "p"
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
