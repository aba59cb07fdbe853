SELECT
  "g".*,
  "s"."began",
  "s"."latest",
  "s"."again",
  (
    "s"."back" + 0.5
  ) / (
    "s"."had" + 10.0
  ) AS "returns",
  COALESCE("s"."first_time", 0) AS "first_time",
  COALESCE("s"."entities", 0) AS "entities",
  COALESCE("s"."entities_q", 0) AS "entities_q",
  COALESCE("s"."entities_1", 0) AS "entities_1",
  COALESCE("s"."entities_3", 0) AS "entities_3",
  ROW_NUMBER() OVER (
    PARTITION BY "g"."at"
    ORDER BY COALESCE("s"."entities_1", 0) DESC, COALESCE("s"."entities_3", 0) DESC, COALESCE("s"."entities", 0) DESC, "g"."item"
  ) AS "popular",
  ROW_NUMBER() OVER (
    PARTITION BY "g"."at"
    ORDER BY COALESCE(CAST("s"."entities_1" AS DOUBLE) / (
      "s"."entities_3" + 5.0
    ), 0) DESC, "g"."item"
  ) AS "rising",
  ROW_NUMBER() OVER (PARTITION BY "g"."at" ORDER BY COALESCE("g"."born", "s"."began") DESC, "g"."item") AS "newest"
FROM "rfm_catalogue_x" AS "g"
LEFT JOIN (
  SELECT
    "c"."at",
    "c"."item",
    COUNT(*) AS "entities",
    MIN("c"."began") AS "began",
    MAX("c"."latest") AS "latest",
    SUM(CASE WHEN "c"."occasions_q" > 0 THEN 1 ELSE 0 END) AS "entities_q",
    SUM(CASE WHEN "c"."occasions_1" > 0 THEN 1 ELSE 0 END) AS "entities_1",
    SUM(CASE WHEN "c"."occasions_3" > 0 THEN 1 ELSE 0 END) AS "entities_3",
    AVG(CASE WHEN "c"."occasions" > 1 THEN 1.0 ELSE 0.0 END) AS "again",
    SUM(CASE WHEN "c"."occasions" > "c"."occasions_1" THEN 1 ELSE 0 END) AS "had",
    SUM(
      CASE
        WHEN "c"."occasions" > "c"."occasions_1" AND "c"."occasions_1" > 0
        THEN 1
        ELSE 0
      END
    ) AS "back",
    SUM(CASE WHEN "c"."occasions" = "c"."occasions_1" THEN 1 ELSE 0 END) AS "first_time"
  FROM "rfm_counted_x" AS "c"
  GROUP BY
    "c"."at",
    "c"."item"
) AS "s"
  ON "s"."at" = "g"."at" AND "s"."item" = "g"."item"
