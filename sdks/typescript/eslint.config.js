import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist/", "build/"] },
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        project: ["./tsconfig.json", "./test/tsconfig.json"],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      "eqeqeq": "error",
      "no-console": ["error", { allow: ["error"] }],
      // numbers in messages need no String()
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // `["name"]` is how an index signature is read under tsc's strictest setting
      "@typescript-eslint/dot-notation": "off",
    },
  },
  {
    files: ["test/**"],
    rules: {
      // node:test's promises are its own to wait for
      "@typescript-eslint/no-floating-promises": [
        "error",
        {
          allowForKnownSafeCalls: [
            { from: "package", package: "node:test", name: ["test", "describe", "it"] },
          ],
        },
      ],
      "no-console": "off",
    },
  },
  { files: ["**/*.js", "**/*.mjs"], ...tseslint.configs.disableTypeChecked },
);
