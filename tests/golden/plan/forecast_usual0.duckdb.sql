SELECT
  "c"."base",
  SUM("c"."share") / 12.0 AS "share",
  SUM("c"."v0") / 12.0 AS "v0"
FROM "rfm_covered0_x" AS "c"
WHERE
  "c"."i" < "c"."j"
GROUP BY
  "c"."base"
