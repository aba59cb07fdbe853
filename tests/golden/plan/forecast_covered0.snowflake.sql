SELECT
  "S"."BASE",
  "S"."J",
  "S"."I",
  SUM("S"."SHARE") AS "SHARE",
  SUM("S"."SHARE" * COALESCE("S"."V0", 0)) AS "V0"
FROM (
  SELECT
    "P"."BASE",
    "P"."J",
    "W"."I",
    CASE
      WHEN "P"."ENDS" > "P"."BEGINS"
      THEN CAST(DATEDIFF(
        SECOND,
        GREATEST_IGNORE_NULLS("P"."BEGINS", "W"."START_AT"),
        LEAST_IGNORE_NULLS("P"."ENDS", "W"."END_AT")
      ) AS DOUBLE) / (
        DATEDIFF(SECOND, "W"."START_AT", "W"."END_AT") * 1.0
      )
      ELSE 1.0
    END AS "SHARE",
    "P"."V0"
  FROM "RFM_PLAN0_X" AS "P"
  JOIN "RFM_WINDOWS_X" AS "O"
    ON "O"."I" >= -12 AND "O"."I" < 3
  JOIN "RFM_WINDOWS_X" AS "W"
    ON "W"."I" = "P"."J" + "O"."I"
    AND "P"."BEGINS" <= "W"."END_AT"
    AND "P"."ENDS" > "W"."START_AT"
) AS "S"
GROUP BY
  "S"."BASE",
  "S"."J",
  "S"."I"
