SELECT
  "e"."example_id" AS "example_id",
  CAST(COALESCE("h"."occasions", 0) AS DOUBLE) AS "f0",
  CAST(COALESCE("h"."n", 0) AS DOUBLE) AS "f1",
  CAST(COALESCE("h"."occasions_1", 0) AS DOUBLE) AS "f2",
  CAST(COALESCE("h"."occasions_3", 0) AS DOUBLE) AS "f3",
  CAST(COALESCE("h"."recent", 0) AS DOUBLE) AS "f4",
  CAST(DATEDIFF(SECOND, "h"."latest", "e"."as_of") / 86400.0 AS DOUBLE) AS "f5",
  CAST(DATEDIFF(SECOND, "h"."began", "e"."as_of") / 86400.0 AS DOUBLE) AS "f6",
  CAST("h"."newest" AS DOUBLE) AS "f7",
  CAST("h"."oftenest" AS DOUBLE) AS "f8",
  CAST(COALESCE("h"."occasions", 0) / GREATEST_IGNORE_NULLS("t"."visits", 1) AS DOUBLE) AS "f9",
  CAST(COALESCE("h"."occasions_3", 0) / (
    "t"."visits_3" + 1.0
  ) AS DOUBLE) AS "f10",
  CAST(CASE
    WHEN "h"."occasions" > 1
    THEN DATEDIFF(SECOND, "h"."latest", "e"."as_of") * (
      "h"."occasions" - 1.0
    ) / GREATEST_IGNORE_NULLS(DATEDIFF(SECOND, "h"."began", "h"."latest"), 3600)
  END AS DOUBLE) AS "f11",
  CAST(CASE WHEN "h"."occasions" > 0 THEN "s"."again" END AS DOUBLE) AS "f12",
  CAST(CASE WHEN "h"."occasions" > 0 THEN "s"."returns" END AS DOUBLE) AS "f13",
  CAST(CASE WHEN "h"."occasions" > 0 THEN COALESCE("u"."total", 0) END AS DOUBLE) AS "f14",
  CAST("s"."popular" AS DOUBLE) AS "f15",
  CAST("s"."entities" AS DOUBLE) AS "f16",
  CAST("s"."entities_q" AS DOUBLE) AS "f17",
  CAST("s"."entities_1" AS DOUBLE) AS "f18",
  CAST("s"."entities_3" AS DOUBLE) AS "f19",
  CAST("s"."again" AS DOUBLE) AS "f20",
  CAST("s"."returns" AS DOUBLE) AS "f21",
  CAST("s"."first_time" AS DOUBLE) AS "f22",
  CAST((
    "s"."entities_1" + 1.0
  ) / (
    "s"."entities_3" / 3.0 + 1.0
  ) AS DOUBLE) AS "f23",
  CAST(DATEDIFF(SECOND, COALESCE("s"."born", "s"."began"), "e"."as_of") / 86400.0 AS DOUBLE) AS "f24",
  CAST(DATEDIFF(SECOND, "s"."latest", "e"."as_of") / 86400.0 AS DOUBLE) AS "f25",
  CAST(CASE WHEN "h"."occasions" IS NULL THEN "s"."entities_q" END AS DOUBLE) AS "f26",
  CAST(COALESCE("u"."total", 0) AS DOUBLE) AS "f27",
  CAST(COALESCE("u"."most", 0) AS DOUBLE) AS "f28",
  CAST(COALESCE("u"."links", 0) AS DOUBLE) AS "f29",
  CAST("u"."place" AS DOUBLE) AS "f30",
  CAST(COALESCE("t"."items", 0) AS DOUBLE) AS "f31",
  CAST(COALESCE("t"."occasions", 0) AS DOUBLE) AS "f32",
  CAST(COALESCE("t"."occasions_1", 0) AS DOUBLE) AS "f33",
  CAST(COALESCE("t"."occasions_3", 0) AS DOUBLE) AS "f34",
  CAST(COALESCE("t"."visits", 0) AS DOUBLE) AS "f35",
  CAST(COALESCE("t"."visits_3", 0) AS DOUBLE) AS "f36",
  CAST("t"."again" AS DOUBLE) AS "f37",
  CAST((
    "t"."back" + 0.5
  ) / (
    "t"."had" + 5.0
  ) AS DOUBLE) AS "f38",
  CAST(DATEDIFF(SECOND, "t"."latest", "e"."as_of") / 86400.0 AS DOUBLE) AS "f39",
  CAST(DATEDIFF(SECOND, "t"."began", "e"."as_of") / 86400.0 AS DOUBLE) AS "f40",
  CAST("h"."q0" AS DOUBLE) AS "f41",
  CAST("s"."c0" AS VARCHAR) AS "f42",
  CAST(CASE WHEN "t"."items" > 0 THEN COALESCE("t0"."share", 0) END AS DOUBLE) AS "f43",
  CAST("s"."v0" AS DOUBLE) AS "f44"
FROM "rfm_pairs_x" AS "e"
JOIN "rfm_shelf_x" AS "s"
  ON "s"."at" = "e"."as_of" AND "s"."item" = "e"."item"
LEFT JOIN "rfm_history_x" AS "h"
  ON "h"."at" = "e"."as_of" AND "h"."entity" = "e"."entity" AND "h"."item" = "e"."item"
LEFT JOIN "rfm_habits_x" AS "t"
  ON "t"."at" = "e"."as_of" AND "t"."entity" = "e"."entity"
LEFT JOIN "rfm_suggested_x" AS "u"
  ON "u"."group_id" = "e"."group_id" AND "u"."item" = "e"."item"
LEFT JOIN "rfm_taste0_x" AS "t0"
  ON "t0"."at" = "e"."as_of"
  AND "t0"."entity" = "e"."entity"
  AND "t0"."kind" = "s"."c0"
ORDER BY
  "e"."example_id"
