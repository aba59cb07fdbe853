SELECT
  "l"."example_id" AS "example_id",
  MAX(CASE WHEN "l"."place" = 1 THEN "l"."value" END) AS "f0",
  MAX(CASE WHEN "l"."place" = 2 THEN "l"."value" END) AS "f1",
  MAX(CASE WHEN "l"."place" = 3 THEN "l"."value" END) AS "f2",
  MAX(CASE WHEN "l"."place" = 4 THEN "l"."value" END) AS "f3",
  MAX(CASE WHEN "l"."place" = 5 THEN "l"."value" END) AS "f4",
  MAX(CASE WHEN "l"."place" = 6 THEN "l"."value" END) AS "f5",
  MAX(CASE WHEN "l"."place" = 7 THEN "l"."value" END) AS "f6",
  MAX(CASE WHEN "l"."place" = 8 THEN "l"."value" END) AS "f7",
  AVG(CASE WHEN "l"."place" <= 3 THEN "l"."value" END) AS "f8",
  AVG(CASE WHEN "l"."place" <= 12 THEN "l"."value" END) AS "f9",
  AVG("l"."value") AS "f10",
  CAST(COUNT("l"."of") AS DOUBLE) AS "f11",
  MAX(
    CASE
      WHEN "l"."place" = 1
      THEN CAST(DATE_DIFF('SECOND', "l"."of", "l"."anchor_time") AS DOUBLE) / 86400.0
    END
  ) AS "f12"
FROM (
  SELECT
    "x"."example_id",
    "x"."anchor_time",
    "y"."anchor_time" AS "of",
    CASE WHEN "y"."label" THEN 1.0 WHEN NOT (
      "y"."label"
    ) THEN 0.0 END AS "value",
    ROW_NUMBER() OVER (PARTITION BY "x"."example_id" ORDER BY "y"."anchor_time" DESC) AS "place"
  FROM "rfm_examples_x" AS "x"
  LEFT JOIN "rfm_labels_x" AS "y"
    ON "y"."entity" = "x"."entity" AND "y"."known_at" <= "x"."as_of"
) AS "l"
GROUP BY
  "l"."example_id"
ORDER BY
  "l"."example_id"
