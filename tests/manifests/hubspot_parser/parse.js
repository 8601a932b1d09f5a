// What HubSpot's own library reads of a project: the folder is the first argument, the profile the second.
import { getProjectMetadata, parseProjectConfig } from "@hubspot/project-parsing-lib/projects";
import { translate } from "@hubspot/project-parsing-lib/translate";

const [folder, profile] = process.argv.slice(2);
const config = await parseProjectConfig(folder);
const source = `${folder}/${config.srcDir}`;
const context = { projectSourceDir: source, platformVersion: config.platformVersion, accountId: 0 };
// Fields are checked by rules that HubSpot gives to logged-in accounts only.
const { intermediateRepresentation, skippedHsMetaFiles } = await translate(context, { skipValidation: true, profile });
const components = Object.values(intermediateRepresentation.intermediateNodesIndexedByUid).map((node) => ({
  uid: node.uid,
  type: node.componentType,
  config: node.config,
}));
const { components: counted } = await getProjectMetadata(source);
const tooMany = Object.entries(counted).filter(([, { count, maxCount }]) => maxCount !== null && count > maxCount);
console.log(JSON.stringify({ config, components, skipped: skippedHsMetaFiles, too_many: tooMany.map(([name]) => name) }));
