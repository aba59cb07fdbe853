SELECT DISTINCT
  "c"."group_id",
  "s"."item"
FROM (
  SELECT
    "e"."example_id" AS "group_id",
    "s"."item"
  FROM "rfm_examples_x" AS "e"
  LEFT JOIN "rfm_habits_x" AS "t"
    ON "t"."at" = "e"."as_of" AND "t"."entity" = "e"."entity"
  JOIN "rfm_shelf_x" AS "s"
    ON "s"."at" = "e"."as_of" AND "s"."popular" <= 50
  UNION ALL
  SELECT
    "e"."example_id" AS "group_id",
    "s"."item"
  FROM "rfm_examples_x" AS "e"
  JOIN "rfm_shelf_x" AS "s"
    ON "s"."at" = "e"."as_of" AND "s"."rising" <= 15
  UNION ALL
  SELECT
    "e"."example_id" AS "group_id",
    "s"."item"
  FROM "rfm_examples_x" AS "e"
  JOIN "rfm_shelf_x" AS "s"
    ON "s"."at" = "e"."as_of" AND "s"."newest" <= 10
  UNION ALL
  SELECT
    "u"."group_id",
    "u"."item"
  FROM "rfm_suggested_x" AS "u"
  WHERE
    "u"."place" <= 50
  UNION ALL
  SELECT
    "e"."example_id" AS "group_id",
    "s"."item"
  FROM "rfm_examples_x" AS "e"
  JOIN "rfm_taste0_x" AS "t"
    ON "t"."at" = "e"."as_of" AND "t"."entity" = "e"."entity" AND "t"."place" = 1
  JOIN (
    SELECT
      "s"."at",
      "s"."item",
      "s"."c0" AS "kind",
      ROW_NUMBER() OVER (PARTITION BY "s"."at", "s"."c0" ORDER BY pg_temp.rfm_key("s"."popular")) AS "place"
    FROM "rfm_shelf_x" AS "s"
  ) AS "s"
    ON "s"."at" = "t"."at" AND "s"."kind" = "t"."kind" AND "s"."place" <= 20
  UNION ALL
  SELECT
    "e"."example_id" AS "group_id",
    "x"."item"
  FROM "rfm_examples_x" AS "e"
  JOIN "rfm_seen0_x" AS "x"
    ON "x"."at" = "e"."as_of" AND "x"."entity" = "e"."entity" AND "x"."newest" <= 60
  UNION ALL
  SELECT
    "e"."example_id" AS "group_id",
    "n"."item"
  FROM "rfm_examples_x" AS "e"
  JOIN "rfm_noticed0_x" AS "n"
    ON "n"."at" = "e"."as_of" AND "n"."place" <= 15
  UNION ALL
  SELECT
    "e"."example_id" AS "group_id",
    "h"."item"
  FROM "rfm_examples_x" AS "e"
  JOIN "rfm_history_x" AS "h"
    ON "h"."at" = "e"."as_of" AND "h"."entity" = "e"."entity"
  WHERE
    "h"."newest" <= 100 OR "h"."oftenest" <= 60
) AS "c"
JOIN "rfm_examples_x" AS "e"
  ON "e"."example_id" = "c"."group_id"
JOIN "rfm_shelf_x" AS "s"
  ON "s"."at" = "e"."as_of" AND "s"."item" = "c"."item"
LEFT JOIN "rfm_history_x" AS "h"
  ON "h"."at" = "e"."as_of" AND "h"."entity" = "e"."entity" AND "h"."item" = "c"."item"
WHERE
  TRUE
