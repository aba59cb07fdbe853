SELECT
  "s"."at",
  "s"."entity",
  COUNT(*) AS "items",
  SUM("s"."times_q") AS "times_q",
  SUM("s"."times_1") AS "times_1",
  MAX("s"."latest") AS "latest"
FROM "rfm_seen0_x" AS "s"
GROUP BY
  "s"."at",
  "s"."entity"
