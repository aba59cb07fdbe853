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
    COUNT(CASE WHEN "c"."latest" > "m"."since_q" THEN 1 END) AS "entities_q",
    COUNT(CASE WHEN "c"."latest" > "m"."since_1" THEN 1 END) AS "entities_1",
    COUNT(CASE WHEN "c"."latest" > "m"."since_3" THEN 1 END) AS "entities_3",
    AVG(CASE WHEN "c"."occasions" > 1 THEN 1.0 ELSE 0.0 END) AS "again",
    COUNT(CASE WHEN "c"."began" <= "m"."since_1" THEN 1 END) AS "had",
    COUNT(
      CASE WHEN "c"."began" <= "m"."since_1" AND "c"."latest" > "m"."since_1" THEN 1 END
    ) AS "back",
    COUNT(CASE WHEN "c"."began" > "m"."since_1" THEN 1 END) AS "first_time"
  FROM (
    SELECT
      "m"."at",
      "i"."entity",
      "i"."item",
      COUNT(*) AS "occasions",
      MIN("i"."happened") AS "began",
      MAX("i"."happened") AS "latest"
    FROM "rfm_interactions_x" AS "i"
    JOIN "rfm_moments_x" AS "m"
      ON "i"."known" <= "m"."at" AND (
        "i"."until" IS NULL OR "i"."until" > "m"."at"
      )
    GROUP BY
      "m"."at",
      "i"."entity",
      "i"."item"
  ) AS "c"
  JOIN "rfm_moments_x" AS "m"
    ON "m"."at" = "c"."at"
  GROUP BY
    "c"."at",
    "c"."item"
) AS "s"
  ON "s"."at" = "g"."at" AND "s"."item" = "g"."item"
