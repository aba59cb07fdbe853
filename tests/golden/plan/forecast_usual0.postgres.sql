SELECT
  "c"."base",
  CAST(SUM("c"."share") AS DOUBLE PRECISION) / 12.0 AS "share",
  CAST(SUM("c"."v0") AS DOUBLE PRECISION) / 12.0 AS "v0"
FROM "rfm_covered0_x" AS "c"
WHERE
  "c"."i" < "c"."j"
GROUP BY
  "c"."base"
