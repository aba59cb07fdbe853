SELECT
  "e"."example_id" AS "example_id",
  CAST(COALESCE("h"."occasions", 0) AS DOUBLE) AS "f0",
  CAST(COALESCE("h"."n", 0) AS DOUBLE) AS "f1",
  CAST(COALESCE("h"."occasions_1", 0) AS DOUBLE) AS "f2",
  CAST(COALESCE("h"."occasions_3", 0) AS DOUBLE) AS "f3",
  CAST(COALESCE("h"."recent", 0) AS DOUBLE) AS "f4",
  CAST(DATE_DIFF('SECOND', "h"."latest", "e"."as_of") / 86400.0 AS DOUBLE) AS "f5",
  CAST(DATE_DIFF('SECOND', "h"."began", "e"."as_of") / 86400.0 AS DOUBLE) AS "f6",
  CAST("h"."newest" AS DOUBLE) AS "f7",
  CAST("h"."oftenest" AS DOUBLE) AS "f8",
  CAST(COALESCE("h"."occasions", 0) / GREATEST("t"."visits", 1) AS DOUBLE) AS "f9",
  CAST(COALESCE("h"."occasions_3", 0) / (
    "t"."visits_3" + 1.0
  ) AS DOUBLE) AS "f10",
  CAST(CASE
    WHEN "h"."occasions" > 1
    THEN DATE_DIFF('SECOND', "h"."latest", "e"."as_of") * (
      "h"."occasions" - 1.0
    ) / GREATEST(DATE_DIFF('SECOND', "h"."began", "h"."latest"), 3600)
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
  CAST(DATE_DIFF('SECOND', COALESCE("s"."born", "s"."began"), "e"."as_of") / 86400.0 AS DOUBLE) AS "f24",
  CAST(DATE_DIFF('SECOND', "s"."latest", "e"."as_of") / 86400.0 AS DOUBLE) AS "f25",
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
  CAST(DATE_DIFF('SECOND', "t"."latest", "e"."as_of") / 86400.0 AS DOUBLE) AS "f39",
  CAST(DATE_DIFF('SECOND', "t"."began", "e"."as_of") / 86400.0 AS DOUBLE) AS "f40",
  CAST("s"."c0" AS TEXT) AS "f41",
  CAST(CASE WHEN "t"."items" > 0 THEN COALESCE("t0"."share", 0) END AS DOUBLE) AS "f42",
  CAST("s"."v0" AS DOUBLE) AS "f43",
  CAST(COALESCE("x0"."times", 0) AS DOUBLE) AS "f44",
  CAST(COALESCE("x0"."times_q", 0) AS DOUBLE) AS "f45",
  CAST(COALESCE("x0"."times_1", 0) AS DOUBLE) AS "f46",
  CAST(COALESCE("x0"."recent", 0) AS DOUBLE) AS "f47",
  CAST(DATE_DIFF('SECOND', "x0"."latest", "e"."as_of") / 86400.0 AS DOUBLE) AS "f48",
  CAST("x0"."newest" AS DOUBLE) AS "f49",
  CAST(CASE
    WHEN NOT "h"."latest" IS NULL
    THEN CASE WHEN "x0"."latest" > "h"."latest" THEN 1 ELSE 0 END
  END AS DOUBLE) AS "f50",
  CAST(COALESCE("n0"."entities_q", 0) AS DOUBLE) AS "f51",
  CAST(COALESCE("n0"."entities_1", 0) AS DOUBLE) AS "f52",
  CAST(COALESCE("a0"."times_q", 0) AS DOUBLE) AS "f53",
  CAST(COALESCE("a0"."times_1", 0) AS DOUBLE) AS "f54",
  CAST(DATE_DIFF('SECOND', "a0"."latest", "e"."as_of") / 86400.0 AS DOUBLE) AS "f55"
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
LEFT JOIN "rfm_seen0_x" AS "x0"
  ON "x0"."at" = "e"."as_of"
  AND "x0"."entity" = "e"."entity"
  AND "x0"."item" = "e"."item"
LEFT JOIN "rfm_noticed0_x" AS "n0"
  ON "n0"."at" = "e"."as_of" AND "n0"."item" = "e"."item"
LEFT JOIN "rfm_attention0_x" AS "a0"
  ON "a0"."at" = "e"."as_of" AND "a0"."entity" = "e"."entity"
ORDER BY
  "e"."example_id"
