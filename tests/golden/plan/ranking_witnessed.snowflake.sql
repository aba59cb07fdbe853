SELECT
  "W"."AT",
  "W"."ENTITY",
  "W"."ITEM",
  COUNT(*) OVER (PARTITION BY "W"."AT", "W"."ITEM") AS "ENTITIES"
FROM (
  SELECT
    "H"."AT",
    "H"."ENTITY",
    "H"."ITEM"
  FROM "RFM_HISTORY_X" AS "H"
  JOIN "RFM_WITNESSES_X" AS "T"
    ON "T"."AT" = "H"."AT" AND "T"."ENTITY" = "H"."ENTITY"
  WHERE
    "H"."NEWEST" <= 40
) AS "W"
