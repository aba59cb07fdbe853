SELECT
  "C".*,
  "V"."VISITS",
  "V"."VISITS_3"
FROM (
  SELECT
    "H"."AT",
    "H"."ENTITY",
    COUNT(*) AS "ITEMS",
    SUM("H"."OCCASIONS") AS "OCCASIONS",
    SUM("H"."OCCASIONS_1") AS "OCCASIONS_1",
    SUM("H"."OCCASIONS_3") AS "OCCASIONS_3",
    MIN("H"."BEGAN") AS "BEGAN",
    MAX("H"."LATEST") AS "LATEST",
    AVG(CAST(CASE WHEN "H"."OCCASIONS" > 1 THEN 1.0 ELSE 0.0 END AS DOUBLE)) AS "AGAIN",
    SUM(CASE WHEN "H"."OCCASIONS" > "H"."OCCASIONS_1" THEN 1 ELSE 0 END) AS "HAD",
    SUM(
      CASE
        WHEN "H"."OCCASIONS" > "H"."OCCASIONS_1" AND "H"."OCCASIONS_1" > 0
        THEN 1
        ELSE 0
      END
    ) AS "BACK"
  FROM "RFM_HISTORY_X" AS "H"
  GROUP BY
    "H"."AT",
    "H"."ENTITY"
) AS "C"
JOIN (
  SELECT
    "O"."AT",
    "O"."ENTITY",
    COUNT(*) AS "VISITS",
    COUNT(CASE WHEN "O"."HAPPENED" > "O"."SINCE_3" THEN 1 END) AS "VISITS_3"
  FROM (
    SELECT DISTINCT
      "M"."AT",
      "M"."SINCE_3",
      "I"."ENTITY",
      "I"."HAPPENED"
    FROM "RFM_INTERACTIONS_X" AS "I"
    JOIN "RFM_WATCHED_X" AS "T"
      ON "T"."ENTITY" = "I"."ENTITY"
      AND "I"."KNOWN" <= "T"."AT"
      AND (
        "I"."UNTIL" IS NULL OR "I"."UNTIL" > "T"."AT"
      )
    JOIN "RFM_CATALOGUE_X" AS "G"
      ON "G"."AT" = "T"."AT" AND "G"."ITEM" = "I"."ITEM"
    JOIN "RFM_MOMENTS_X" AS "M"
      ON "M"."AT" = "T"."AT"
  ) AS "O"
  GROUP BY
    "O"."AT",
    "O"."ENTITY"
) AS "V"
  ON "V"."AT" = "C"."AT" AND "V"."ENTITY" = "C"."ENTITY"
