SELECT
  "c"."base",
  CAST(SUM("c"."share") AS DOUBLE PRECISION) / 12.0 AS "share"
FROM "rfm_covered1_x" AS "c"
WHERE
  "c"."i" < "c"."j"
GROUP BY
  "c"."base"
