SELECT
  "r"."entity",
  "r"."anchor_time",
  "r"."item"
FROM (
  SELECT DISTINCT
    "i"."entity",
    "w"."anchor_time",
    "i"."item"
  FROM "rfm_interactions_x" AS "i"
  JOIN "rfm_windows_x" AS "w"
    ON "i"."happened" > "w"."opens"
    AND "i"."happened" <= "w"."closes"
    AND "i"."known" <= "w"."closes"
    AND (
      "i"."until" IS NULL OR "i"."until" > "w"."closes"
    )
  JOIN "rfm_listed_x" AS "l"
    ON "l"."item" = "i"."item"
    AND (
      "l"."since" IS NULL OR "l"."since" <= "w"."closes"
    )
    AND (
      "l"."until" IS NULL OR "l"."until" > "w"."closes"
    )
) AS "r"
JOIN "rfm_interactions_x" AS "b"
  ON "b"."entity" = "r"."entity" AND "b"."item" = "r"."item"
GROUP BY
  "r"."entity",
  "r"."anchor_time",
  "r"."item"
HAVING
  COUNT(
    CASE
      WHEN "b"."known" <= "r"."anchor_time"
      AND (
        "b"."until" IS NULL OR "b"."until" > "r"."anchor_time"
      )
      THEN 1
    END
  ) = 0
