// Reads an AsyncAPI document from standard input and prints what is wrong with it, a line each: errors and warnings of the
// official parser, and examples that are not as the schemas of their message say.
const { Parser } = require("@asyncapi/parser");
const Ajv = require("ajv");
const addFormats = require("ajv-formats");

const SEVERITIES = ["error", "warning"]; // what follows in Spectral's count are remarks

function wrongExamples(document) {
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  return document.allMessages().all().flatMap((message) => {
    const schemas = { payload: message.payload()?.json(), headers: message.headers()?.json() };
    return message.examples().all().flatMap((example) =>
      Object.entries(schemas).flatMap(([part, schema]) => {
        const shown = example.json()[part];
        if (shown === undefined || ajv.validate(schema, shown)) return [];
        return [`error: example of ${message.name()}: ${ajv.errorsText(ajv.errors, { dataVar: part })}`];
      })
    );
  });
}

async function main() {
  const { document, diagnostics } = await new Parser().parse(require("fs").readFileSync(0, "utf-8"));
  const found = diagnostics
    .filter((one) => one.severity in SEVERITIES)
    .map((one) => `${SEVERITIES[one.severity]}: ${one.path.join(".")}: ${one.message} (${one.code})`);
  for (const line of [...found, ...(document ? wrongExamples(document) : [])]) console.log(line);
}

main();
