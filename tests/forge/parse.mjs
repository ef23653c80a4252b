#!/usr/bin/env node
// What GitHub's own parser of workflows has to say of files; nothing where they are as it wants them.
// tests/servers/install.sh makes one file of this and the parser, because Node cannot load the parser as it is packed.
import { readFileSync } from "node:fs";
import { NoOperationTraceWriter, convertWorkflowTemplate, parseWorkflow } from "@actions/workflow-parser";

async function parse(name) {
  const { context, value } = parseWorkflow({ name, content: readFileSync(name, "utf8") }, new NoOperationTraceWriter());
  if (value) await convertWorkflowTemplate(context, value);
  for (const error of context.errors.getErrors()) {
    console.log(error.message);
    process.exitCode = 1;
  }
}

process.argv.slice(2).forEach(parse);
